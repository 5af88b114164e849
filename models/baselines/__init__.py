"""What a score has to beat: one number that anybody could watch. Detectors of ``models.evaluation.protocol``, numpy alone."""
