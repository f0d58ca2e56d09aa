"""The surface that people, deployments and other flows rely on, compared with the recorded one."""
