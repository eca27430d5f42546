"""CycleGANs: trained and scored."""
