"""What an agent will need of a tool's result next, told from its rows, its call and what was said before. No model."""
