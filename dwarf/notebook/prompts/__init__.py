"""What is asked of a person, and how is it answered? Forms, cards and scripted answers."""
