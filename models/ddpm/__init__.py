"""An unconditional diffusion model of land, as a study of priors."""
