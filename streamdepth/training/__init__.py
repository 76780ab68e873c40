"""Training of the built-in model `nano`, fine-tuning and distillation; see README.md beside this."""
