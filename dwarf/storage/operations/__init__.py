"""What is written when something happens: a commit, a claim, a cancel, a fork, a new flow ...?"""
