"""`edit-rrm judges`: judge files listed, shown, checked and imported. It asks no service, runs no model."""
