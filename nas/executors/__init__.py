"""Who turns the search's handle."""
