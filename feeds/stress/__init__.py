"""The stress suite: seeded crises with varied mechanisms, hard negatives and calm, as events and frames; all of it simulated."""
