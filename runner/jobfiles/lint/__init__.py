"""Document → findings of meaning: what a schema cannot say. One topic a module; `checks` calls them all."""
