"""Deployment: Docker health check, Ray Serve, Kubernetes, load balancer, Prometheus, Grafana."""
