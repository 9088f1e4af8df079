"""From cells to a service: the functions of a notebook as a package."""
