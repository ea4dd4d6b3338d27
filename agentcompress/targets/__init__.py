"""What is known of the models that prompts are sent to: tokens, prices, prompt caches."""
