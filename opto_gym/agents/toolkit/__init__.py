"""Parts that agents share: asking a model, prompts within a budget, gradients, repairs of code, random moves."""
