"""The commands, one module each; `pointspider.cli.main` says how to add one."""
