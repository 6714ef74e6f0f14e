require "sinatra/base"

class Shop < Sinatra::Base
  get("/") { "version one" }
end
