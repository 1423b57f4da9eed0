"""Files in and out: images, segmentations, landmarks, transforms, parameters and results."""
