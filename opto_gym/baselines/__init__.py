"""The baselines: agents that are specialists of a domain, or that work on numbers and choices alone.

The rule: an agent is in `opto_gym.agents` if it works on problems of any domain and on prompts or code, whether it asks
a model or not, as RandomSearch and TraceDescent don't. It is here if it knows a certain task, such as what the task's
parameters are called or what its graph looks like, or if it is a classic method that needs numbers, such as Adam and
CMA-ES.
"""

from ..registration import register_agent

register_agent("Enumeration", "opto_gym.baselines.battleship:Enumeration")
register_agent("EnumerationPublished", "opto_gym.baselines.battleship:EnumerationPublished")
register_agent("Parity", "opto_gym.baselines.battleship:Parity")
register_agent("HuntTarget", "opto_gym.baselines.battleship:HuntTarget")
register_agent("Density", "opto_gym.baselines.battleship:Density")
register_agent("Adam", "opto_gym.baselines.adam:Adam")
register_agent("SCATS", "opto_gym.baselines.scats:SCATS")
register_agent("GaussianProcess", "opto_gym.baselines.gaussian_process:GaussianProcess")
register_agent("PSO", "opto_gym.baselines.pso:PSO")
register_agent("CMA-ES", "opto_gym.baselines.cmaes:CMAES")
register_agent("TPE", "opto_gym.baselines.tpe:TPE")
register_agent("Grid", "opto_gym.baselines.grid:Grid")
register_agent("AdamBare", "opto_gym.baselines.adam_bare:AdamBare")
register_agent("LBFGS", "opto_gym.baselines.scipy_minimizers:LBFGS")
register_agent("NelderMead", "opto_gym.baselines.scipy_minimizers:NelderMead")
register_agent("Bisection", "opto_gym.baselines.bisection:Bisection")
register_agent("LockGraph", "opto_gym.baselines.locks:LockGraph")
register_agent("LockBlind", "opto_gym.baselines.locks:LockBlind")
register_agent("BlameGraph", "opto_gym.baselines.blame:BlameGraph")
register_agent("BlameBlind", "opto_gym.baselines.blame:BlameBlind")
register_agent("LeastSquares", "opto_gym.baselines.least_squares:LeastSquares")
register_agent("NearestNeighbour", "opto_gym.baselines.tours:NearestNeighbour")
register_agent("NearestInsertion", "opto_gym.baselines.tours:NearestInsertion")
register_agent("FarthestInsertion", "opto_gym.baselines.tours:FarthestInsertion")
register_agent("ExactTour", "opto_gym.baselines.tours:ExactTour")
register_agent("ScriptedExpert", "opto_gym.baselines.scripted_expert:ScriptedExpert")
register_agent("ModelAlone", "opto_gym.baselines.prompting:ModelAlone")
register_agent("ChainOfThought", "opto_gym.baselines.prompting:ChainOfThought")
register_agent("FewShot", "opto_gym.baselines.prompting:FewShot")
