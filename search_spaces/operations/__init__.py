"""What networks are made of: names (what each is, without torch), layers (from names to modules), modules."""
