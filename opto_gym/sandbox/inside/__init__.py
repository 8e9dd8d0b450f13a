"""The untrusted side of the sandbox: what runs in the processes of the zygote and of candidates.

A fresh interpreter with an empty environment imports only this package, by its folder, so that no candidate's process
has ever held a key, a result or a test example. Nothing here imports the rest of opto_gym. The trusted side imports
`protocol`, which both sides share.
"""
