"""How steady depth is over time, and what that steadiness costs."""
