"""What a person explores a task with: proposals, comparisons, diagnoses, embeddings, the doctor."""
