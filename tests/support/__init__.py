"""What test modules share; a test module never imports another one.

soak                 how much the long tests try
tasks                small environments
agents               small agents for runs of those: deterministic, threaded, failing, with a model
runs                 short runs of them, and their records without what may differ
program_trials       trials of the programs in command_lines/, here and in a process, and what they leave behind
records              recorded steps for tests of what reads records
savable              traced programs and optimizers that are copied and pickled
transcripts          the commands and code of a page of the docs, run in order and compared with what it shows
rollouts             short loops that drive an agent on an environment
registered           the registered agents and environments that tests of every one run on
env_contract         what the tests of every registered environment share
programs             traced programs and code parameters
graphs               operators for small graphs
openai_server        an HTTP server that speaks OpenAI's chat protocol, with scripted answers and failures
evaluations          raw requests to an evaluation server
gateway_client       a package's side of the gateway: OpenAI's own client, and raw requests
threads              many threads at once
pseudocode           reads pseudo-code back and holds each statement in it against the graph
statements           what pseudo-code should say of a graph's nodes, worked out without the renderer
sections             reads the sections of pseudo-code, statement by statement
random_graphs        traced programs at random, whose graphs are hard to show
answer_rows          answers to tasks as models write them, with what they say
answer_sources       public reports of how models write answers, by the short name that a row cites
malformed_answers    malformed answers of language models, recorded and generated
answer_readers       everything that reads such an answer, and what each promises
sandbox              one call in a sandbox, and the processes behind it
damaged_records      damage to the folder of a run, by an accident or an attacker, seeded
hostile_values       values that nobody expects of proposed code, and environments that trace them
forging              edits of a trial's files, as somebody makes who wants other results
honest_trials        honest trials of many kinds, which forgeries begin with
own_code             the source of a module of a user's own, which leaves a file when it is imported
hostile_server       a server that answers each request with whatever bytes a function sends
terminal             a person at a terminal, simulated and in a pseudo-terminal
golden               the scores that no version of an environment may change, and the command that adds new ones
trace_problems       random traced programs, run here and with trace-opt
text_problems        random graphs of texts, run here and with textgrad
author_packages      runs a script of children/ in the environment of the authors' packages
command_lines        programs of other languages that speak to the evaluation server, well and badly
"""
