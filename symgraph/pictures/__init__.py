"""Pictures of graphs: networkx, Graphviz and HTML. The libraries load on first use."""
