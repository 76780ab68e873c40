"""How right depth is: errors against measured depth, tables and contact sheets."""
