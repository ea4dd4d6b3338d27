"""Units -> scores, higher = keep. `attention` is the pure maths on tensors, `units` what every scorer shares."""
