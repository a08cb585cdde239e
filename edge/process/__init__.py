"""From sweeps and contacts to drafts of records: windows, vehicles, means, growth of registers."""
