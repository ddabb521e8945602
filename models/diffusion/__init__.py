"""One small diffusion core: schedules, samplers and noise that every diffusion model shares."""
