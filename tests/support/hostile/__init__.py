"""Files and events made to harm: each kind, who builds it, and how it must end."""
