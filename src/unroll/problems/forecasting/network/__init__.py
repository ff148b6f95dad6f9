"""Networks that forecast, and the distribution of what they say."""
