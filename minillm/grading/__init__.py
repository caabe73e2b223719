"""The grader: a student's function runs in a process of its own; inputs, reference and comparison never leave ours."""
