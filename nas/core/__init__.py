"""The contracts between strategies, search spaces, evaluators and executors; nothing heavy is imported."""
