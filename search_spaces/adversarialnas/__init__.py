"""AdversarialNAS's space, as published."""
