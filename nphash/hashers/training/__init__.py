"""The training of the systems that learn by gradients."""
