"""The same pipeline elsewhere: a plan of its nodes, specs for orchestrators, and what runs inside their containers."""
