from django.urls import path

from tracking import views

urlpatterns = [
    path("t/o/<str:token>.gif", views.opened),
    path("t/c/<str:token>", views.clicked),
]
