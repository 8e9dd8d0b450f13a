"""What several agents use: asking a model, the prompt's budget, gradients, repairs of code, random moves."""
