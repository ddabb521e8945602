"""What a fill sees: the target with its other dates, terrain and radar, on one grid."""
