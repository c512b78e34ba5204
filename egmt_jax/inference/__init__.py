"""Using a trained model: fusing arrays and files, exporting and evaluating whole splits."""
