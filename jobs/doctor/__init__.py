"""The doctor: looks at every link of the chain from Gitea to the agent, and names the cause and the cure."""
