"""What problems share: their contract, classification, vectors that a network over words begins with."""
