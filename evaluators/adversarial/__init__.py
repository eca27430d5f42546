"""What GANs and CycleGANs share: losses, epochs, snapshots, collapse."""
