"""How is it kept? The only package that knows SQL."""
