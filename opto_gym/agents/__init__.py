"""The optimizers, one module for each algorithm. `opto_gym.make_agent` finds those registered here and the baselines.

An agent here works on problems of any domain. An agent that knows a domain, or that works on numbers and choices alone,
is a baseline (`opto_gym.baselines`).
"""

from ..registration import BASES, register_agent
from .base import Agent, Oracle, Values

__all__ = ["Agent", "Oracle", "Values"]

BASES["agent"] = Agent

register_agent("OptoPrime", "opto_gym.agents.optoprime:OptoPrime")
register_agent("OptoPrime-NoMem", "opto_gym.agents.optoprime_variants:NoMem")
register_agent("OptoPrime-Masked", "opto_gym.agents.optoprime_variants:Masked")
register_agent("OptoPrime-Scalar", "opto_gym.agents.optoprime_variants:Scalar")
register_agent("OptoPrime-CoT", "opto_gym.agents.optoprime_variants:CoT")
register_agent("OptoPrime-FewShot", "opto_gym.agents.optoprime_variants:FewShot")
register_agent("OptoPrime-Candidates", "opto_gym.agents.optoprime_variants:Candidates")
register_agent("OPRO", "opto_gym.agents.opro:OPRO")
register_agent("OPRO-Trace", "opto_gym.agents.opro_trace:OPROTrace")
register_agent("TextGrad", "opto_gym.agents.textgrad:TextGrad")
register_agent("TraceDescent", "opto_gym.agents.trace_descent:TraceDescent")
register_agent("RandomSearch", "opto_gym.agents.random_search:RandomSearch")
register_agent("Human", "opto_gym.agents.human:Human")
register_agent("Program", "opto_gym.agents.external.program:Program")
register_agent("Program-Model", "opto_gym.agents.external.program:ModelProgram")
register_agent("external/trace-opt-OptoPrime", "opto_gym.agents.external.trace_opt:TraceOptOptoPrime")
register_agent("external/trace-opt-OPRO", "opto_gym.agents.external.trace_opt:TraceOptOPRO")
register_agent("external/gepa", "opto_gym.agents.external.gepa:GEPA")
register_agent("external/dspy-COPRO", "opto_gym.agents.external.dspy:COPRO")
register_agent("external/dspy-MIPROv2", "opto_gym.agents.external.dspy:MIPROv2")
register_agent("external/dspy-SIMBA", "opto_gym.agents.external.dspy:SIMBA")
register_agent("external/dspy-GEPA", "opto_gym.agents.external.dspy:GEPA")
register_agent("external/textgrad", "opto_gym.agents.external.textgrad:TextGradPackage")
register_agent("external/openevolve", "opto_gym.agents.external.openevolve:OpenEvolve")
