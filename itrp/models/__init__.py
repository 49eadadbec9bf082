"""The networks: encoders of text and image, and the model of Sun et al. 2023 on top of them."""
