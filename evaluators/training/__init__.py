"""What every training uses: optimisers, averages, growth, checkpoints."""
