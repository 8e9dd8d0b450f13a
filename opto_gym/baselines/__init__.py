"""The specialists: agents that know a domain, or work only where all parameters are numbers or choices.

The rule: an optimizer that takes any problem of its kinds of parameters stands in `opto_gym.agents`, as RandomSearch
and TraceDescent do, though they ask no model. One that reads the graph of a certain task, or that needs numbers
(Adam, CMA-ES), stands here.
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
