"""What tests are made of: builders, fakes, servers."""
