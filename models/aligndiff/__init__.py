"""AlignDiff: latent diffusion aligned with terrain, prompts and feature statistics."""
