"""People look at tweets, label them, and correct what models say: see docs/review.md."""
