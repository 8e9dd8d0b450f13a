"""The untrusted side of the sandbox: what runs in the zygote's and the candidates' processes.

A fresh interpreter with an empty environment imports this package alone, by its folder, so that no process of a
candidate ever held a key, a result or a test example: nothing here imports the rest of opto_gym. `box` and `channel`
import the protocol's halves that both sides share.
"""
