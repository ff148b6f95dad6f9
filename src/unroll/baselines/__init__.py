"""What a recurrent network must beat: methods without a network, fitted on the train split alone."""
